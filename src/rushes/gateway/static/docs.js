// Starts Swagger UI over our own OpenAPI document.
"use strict";

const place = document.getElementById("swagger-ui");
SwaggerUIBundle({
  url: place.dataset.url,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: false, // a key must not outlive the tab
  tryItOutEnabled: false,
  validatorUrl: null, // else the document would be sent to somebody else's server
});
