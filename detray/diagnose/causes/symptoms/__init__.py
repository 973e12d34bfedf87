"""What goes wrong with the class, whatever it comes of."""
