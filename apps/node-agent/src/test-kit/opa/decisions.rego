# Decides whatever the body of a request says, and by query how it fails. Compiled, as examples/opa/README.md shows, with
#   opa build --target wasm --entrypoint test/decision --entrypoint test/shown --output decisions.tar.gz decisions.rego
package test

# What it was shown, for the backend to see.
shown := {"allowed": true, "headers": {"x-input": json.marshal(input)}}

# The decision that a body asks for; undefined where there is none.
decision := input.parsed_body.decision

# Two values where there may be one.
decision := 1 if input.parsed_query.fail == ["conflict"]

decision := 2 if input.parsed_query.fail == ["conflict"]
