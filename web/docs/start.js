// Shows openapi.json. Requests go to the API of this address, with the token that is entered under
// "Authorize".
SwaggerUIBundle({
  dom_id: "#description",
  url: "openapi.json",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
});
