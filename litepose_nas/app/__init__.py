"""Files that `ship` copies into an app folder: they need numpy, OpenCV and ONNX Runtime, or a browser, and none of us.

In the folder they lie beside each other, so they import each other by their bare names.
"""
