"""What happens in jobs and routers becomes log lines, metrics and a progress bar."""
