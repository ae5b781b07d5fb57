"""The ledger: who has paid for what. Read the first five, and you know what Easel promises.

records     what the table knows of a run: its prompt, its chat call, its images
budget      the monthly cap: no paid call starts unless its upper bound fits
claims      one paid call: claimed together with its money, ended by what came of it
ledger      the records of runs, read and written
purchase    the life of a purchase: recover, claim, stage, settle, give up

paid_image  the bytes that a purchase brought
rate_limit  who may begin an image call, and when
gallery     the index of stored and deleted images
batches     the starts of batches, and the orders at OpenAI's Batch API

Nothing in here imports openai or an AWS event, so the promises can be read and tested alone.
"""
