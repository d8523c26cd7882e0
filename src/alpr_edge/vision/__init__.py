"""Plate vision: find plates in masked frames, read them, follow them, vote.

The only I/O here is the ONNX session and the model files it is made from.
"""
