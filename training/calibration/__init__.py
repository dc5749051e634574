"""From scores to probabilities and decisions: fitted, judged on people held out, and written down."""
