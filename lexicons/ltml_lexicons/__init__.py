"""Labels, anatomy, cues and section names as YAML, and the models that check them."""
