"""The RetinaNet that detray trains: its network, anchors, decoding, freezing and files."""
