"""The economy step: pictures of a batch bought through OpenAI's Batch API, at half the price and within a day."""
