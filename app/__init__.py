"""What programs ask of the published warehouse over HTTP: profiles and decisions, each with its receipt."""
