"""Looking at trained models and at runs. Each module is imported by those who need it."""
