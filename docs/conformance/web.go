package main

// web is what pacs/dicomweb and the daemon speak.
const web = `
## DICOMweb

| service | role | resource | what | PS3.18 |
|---|---|---|---|---|
| STOW-RS | origin server | POST /dicom-web/studies, /dicom-web/studies/{study} | multipart/related of application/dicom, streamed; answer in application/dicom+json or application/dicom+xml. Metadata with bulk data apart (application/dicom+json, +xml): 415 | 10.5 |
| STOW-RS | user agent | POST {service}/studies | multipart/related of application/dicom with its length, one transfer a finding | 10.5 |
| WADO-RS | user agent | GET {service}/studies/{study}, …/series/{series} | multipart/related of application/dicom, transfer-syntax=*, without it where the server answers 400 or 406; a single application/dicom too | 10.4 |
| QIDO-RS | user agent | GET {service}/studies?limit=1 | asks whether the archive is well | 10.6 |
| UPS-RS | user agent | POST {service}/workitems?{uid}, POST and GET …/workitems/{uid} | application/dicom+json | 11 |

| what | how |
|---|---|
| authentication | bearer token, basic, client certificate; shown to the configured origin only |
| TLS | 1.2 and 1.3 |
| statuses of a store answered | 200 all kept; 202 some kept; 409 none kept; 507 no room; 400 broken body; 406, 415 media types |
| reasons of failure | 0110 processing, 0122 class not supported, 0124 not authorised, A700 no room, A900 another study or class, C000 not understood |
| redirects | followed for GET within the allow-list, never for POST |
| retries | 408, 429, 502, 503, 504 and broken connections: 4 times within a retrieval, Retry-After heeded; stores are repeated by the delivery |
`
