"""The chat that the three modules extend: WhatsApp on one side, attendants on the other.

A folder is a room: what one person would change together, ten files at most. Imports go down this
list, never up; tests/test_rooms.py holds them to it.

    tasks.py        the routes that a scheduler calls
    screen/         what the attendants' page asks for
    push/           who is told with the browser closed, and of what
    uploads/        files of attendants: checked, converted, noted until they are sent
    incoming/       what WhatsApp tells the webhook: read, stored, put off, set aside
    outgoing/       what goes to WhatsApp: queue, leases, templates, receipts, the Graph API client
    media/          the files of messages: where they are kept, fetched, what is in them
    people/         who is who, and whose conversation a number leads to
    conversation/   conversations and messages: what is stored, its order, how the screen gets it
    team/           the attendants, and nothing without a login
    platform/       settings, the Datastore connection, errors, health, the scheduler's guard
"""
