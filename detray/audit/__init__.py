"""Rules that judge every annotation, class and picture of a data set."""
