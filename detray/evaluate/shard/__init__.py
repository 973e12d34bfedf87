"""What one shard tells by itself: its rows as arrays, their matches, errors, confusions and slices."""
