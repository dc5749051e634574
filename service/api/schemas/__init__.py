"""What REST takes and answers, as pydantic models with examples, a file for each topic."""
