"""The server of a student: Open Inference Protocol v2 and a friendly route, on ONNX Runtime."""
