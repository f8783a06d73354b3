"""Foreign layouts of pose data, every one reads into a COCO-keypoints document."""
