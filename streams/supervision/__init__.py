"""Who watches over workers: the watchdog, systemd, and the parent of several processes."""
