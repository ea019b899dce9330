"""What a run draws for people: Data Docs and the page of an evaluation."""
