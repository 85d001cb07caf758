# Who may do what with httpbin.
package envoy.authz

import input.attributes.request.http

# The decision that the plugin asks for: what goes on with the request, and what the client sees.
allow := {
	"allowed": permitted,
	"headers": request_headers,
	"request_headers_to_remove": ["x-secret"],
	"response_headers_to_add": {"x-decided-by": "opa"},
	"http_status": 403,
	"body": concat("", ["opa: ", reason, "\n"]),
}

default permitted := false

# Whoever is of the mesh may look.
permitted if {
	http.method == "GET"
	startswith(input.source_principal, "spiffe://cluster.local/ns/opa/sa/")
}

# Orders take a role, and no more than it allows.
permitted if {
	is_order
	input.parsed_body.amount <= limits[role]
}

reason := sprintf("%v may order up to %v", [user, limits[role]]) if {
	is_order
	limits[role]
} else := sprintf("%v may not order", [user]) if {
	is_order
} else := sprintf("nobody may %v %v", [http.method, http.path])

is_order if {
	http.method == "POST"
	input.parsed_path == ["anything", "orders"]
}

default user := "nobody"

user := http.headers["x-user"]

default role := "none"

role := data.roles[user]

limits := {"clerk": 100, "manager": 10000}

# By this one a route may be chosen. In a refusal it would go to the client.
request_headers := {"x-role": role} if {
	permitted
} else := {}
