"""Tests of engine/onnx."""
