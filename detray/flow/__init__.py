"""What joins plain functions on tables to a job: steps, the flow between them, and where a flow runs."""
