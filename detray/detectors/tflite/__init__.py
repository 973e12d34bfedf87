"""TFLite files through LiteRT's interpreter."""
