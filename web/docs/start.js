// Shows openapi.json; its requests go to the API beside it, with the token that is put in under "Authorize".
SwaggerUIBundle({ dom_id: "#description", url: "openapi.json", deepLinking: true, presets: [SwaggerUIBundle.presets.apis] });
