"""What the API is asked and answers, as its description shows it. The answers themselves are made by `views`."""
