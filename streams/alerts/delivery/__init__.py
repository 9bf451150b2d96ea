"""Where alerts go: a process that reads ``social.alerts`` and tells Alertmanager, webhooks and Slack."""
