"""One rule a file; ``detray.audit.catalogue`` lists them."""
