"""GraphQL as AWS AppSync speaks it: queries, a mutation, and subscriptions over a WebSocket.

    schema      the types, from `schema.graphql`
    documents   query texts, parsed, limited and validated once
    limits      what a document may contain
    validation  the errors of invalid documents, as AppSync words them
    projection  the encoder that a selection is compiled to
    arguments   the values of arguments and variables
    fields      the resolvers of the root fields
    execution   one operation: by its projection, else by graphql-core
    endpoint    the routes and the fast path
    realtime    WebSockets, each of them a `connection` with its `subscriptions`

See docs/graphql.md and docs/decisions/0037-graphql.
"""
