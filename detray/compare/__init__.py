"""Output folders side by side: what changed from the earlier to the later one."""
