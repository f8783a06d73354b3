"""Foreign layouts of pose data, one file each: every one reads into a COCO-keypoints document."""
