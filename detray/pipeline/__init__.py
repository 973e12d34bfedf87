"""The TF2 Object Detection API's pipeline.config: read, judged by values, and edited without losing a line."""
