"""Engines on ONNX Runtime: Moonshine, and the models of onnx-asr."""
