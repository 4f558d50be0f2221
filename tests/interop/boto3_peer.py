"""The conditional UpdateItem as it is written by hand with boto3: boto3_peer.py <url> <table> <careful|careless>

The careless one forgets the condition on the version, as a control: what it does must be noticed.
"""

import sys
from types import SimpleNamespace

import boto3
from botocore.config import Config

from peer import Refused, serve

URL, TABLE, CARE = sys.argv[1:]


class Boto3:
    def __init__(self):
        config = Config(max_pool_connections=32)
        self.client = boto3.client("dynamodb", endpoint_url=URL, region_name="us-east-1", config=config)

    def create(self, key, writer):
        item = {"id": {"S": key}, "count": {"N": "1"}, "last": {"S": writer}, "version": {"N": "1"}}
        self.checked(self.client.put_item, Item=item, ConditionExpression="attribute_not_exists(id)")

    def read(self, key):
        found = self.client.get_item(TableName=TABLE, Key={"id": {"S": key}}, ConsistentRead=True)
        if "Item" not in found:
            return None
        item = found["Item"]
        number = lambda name: int(item[name]["N"])
        return SimpleNamespace(id=key, version=number("version"), count=number("count"), last=item["last"]["S"])

    def write(self, held, writer):
        request = {
            "Key": {"id": {"S": held.id}},
            "UpdateExpression": "SET #count = :count, #last = :last, version = version + :one",
            "ExpressionAttributeNames": {"#count": "count", "#last": "last"},
            "ExpressionAttributeValues": {
                ":count": {"N": str(held.count + 1)},
                ":last": {"S": writer},
                ":one": {"N": "1"},
            },
            "ReturnValues": "UPDATED_NEW",
        }
        if CARE == "careful":
            request["ConditionExpression"] = "version = :held"
            request["ExpressionAttributeValues"][":held"] = {"N": str(held.version)}
        written = self.checked(self.client.update_item, **request)
        return int(written["Attributes"]["version"]["N"])

    def delete(self, held):
        self.checked(
            self.client.delete_item,
            Key={"id": {"S": held.id}},
            ConditionExpression="version = :held",
            ExpressionAttributeValues={":held": {"N": str(held.version)}},
        )

    def checked(self, call, **request):
        try:
            return call(TableName=TABLE, **request)
        except self.client.exceptions.ConditionalCheckFailedException as error:
            raise Refused from error


serve(Boto3())
