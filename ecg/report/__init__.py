"""Pictures and pages for people: ECG paper, findings."""
