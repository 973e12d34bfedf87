"""The sections of the page, one file each: what the tables say, as the values that its template shows."""
