"""A data set divided into training, validation and test, without a scene on two sides."""
