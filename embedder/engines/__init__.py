"""Engines that detect and recognise faces: ONNX models, OpenCV's models, and the synthetic engine."""
