"""PynamoDB's models with a `VersionAttribute`: pynamodb_peer.py <url> <table> <save|update>

`save` is a PutItem of what the class knows, `update` an UpdateItem.
"""

import sys

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, VersionAttribute
from pynamodb.exceptions import DeleteError, PutError, UpdateError
from pynamodb.models import Model

from peer import Refused, serve

URL, TABLE, WAY = sys.argv[1:]


class Account(Model):
    class Meta:
        table_name = TABLE
        host = URL
        region = "us-east-1"
        max_pool_connections = 32

    id = UnicodeAttribute(hash_key=True)
    count = NumberAttribute()
    last = UnicodeAttribute()
    version = VersionAttribute()


class PynamoDb:
    def create(self, key, writer):
        account = Account(key, count=1, last=writer)
        checked(account.save)

    def read(self, key):
        try:
            return Account.get(key, consistent_read=True)
        except Account.DoesNotExist:
            return None

    def write(self, account, writer):
        if WAY == "save":
            account.count += 1
            account.last = writer
            checked(account.save)
        else:
            actions = [Account.count.set(account.count + 1), Account.last.set(writer)]
            checked(lambda: account.update(actions))
        return account.version

    def delete(self, account):
        checked(account.delete)


def checked(write):
    try:
        write()
    except (PutError, UpdateError, DeleteError) as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        raise Refused from error


serve(PynamoDb())
