"""SavedModels: what people export from the Object Detection API, official.vision, Keras, Ultralytics and TF.js."""
