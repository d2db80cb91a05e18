"""What can go wrong with webhooks.

├── WebhookNotFound       404  no such subscription, or delivery of it
├── WebhookUrlInvalid     422  the address cannot be sent to
├── AddressRefused        422  the address leads into a private network
├── TypeNotOffered        422  no such event type for webhooks
├── TooManyWebhooks       409  the tenant has as many as it may
├── WebhookMade           409  the request made one already, whose secret is not told any more
├── WebhookIsOff          409  it is turned off, so nothing can be sent
├── AlreadySending        409  the delivery is being sent at this moment
└── NotDelivered          503  the receiver could not be reached, or did not answer in time
"""

from backend.foundation.kernel.errors import Conflict, Invalid, NotFound, Unavailable


class WebhookNotFound(NotFound):
    code = "webhook_not_found"
    hint = "It may have been deleted; Admin, Webhooks lists those there are."


class WebhookUrlInvalid(Invalid):
    code = "webhook_url_invalid"
    hint = "Use an address such as https://example.org/hooks/autoweave."


class AddressRefused(Invalid):
    code = "webhook_address_refused"
    hint = "Use a public address; an operator can allow networks by AUTOWEAVE_WEBHOOK_NETWORKS."


class TypeNotOffered(Invalid):
    code = "webhook_type_not_offered"
    hint = "Choose among the listed event types; docs/guides/webhooks.md has them."


class TooManyWebhooks(Conflict):
    code = "too_many_webhooks"
    hint = "Delete one that is no longer used."


class WebhookMade(Conflict):
    code = "webhook_made_already"
    hint = "Rotate its secret if the first answer was lost, or use a new Idempotency-Key for another webhook."


class WebhookIsOff(Conflict):
    code = "webhook_is_off"
    hint = "Turn it on first."


class AlreadySending(Conflict):
    code = "webhook_already_sending"
    hint = "Wait some seconds and look at the delivery again."


class NotDelivered(Unavailable):
    code = "webhook_not_delivered"
    hint = "See whether the receiver is up and can be reached from here; the next attempt follows by itself."
