"""keras-retinanet's CSV."""
