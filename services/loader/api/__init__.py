"""HTTP: generations, and DynamoDB's calls about tables."""
