"""Whisper over ONNX Runtime: graphs written from the weights of a CTranslate2 model."""
