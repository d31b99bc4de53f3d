"""Model files: packs, ONNX headers and sessions."""
