"""The model was trained too little or too much."""
