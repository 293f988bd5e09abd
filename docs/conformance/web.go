package main

// web is what the ways out, pacs/dicomweb and the daemon speak.
const web = `
## DIMSE as a user (SCU)

| service | SOP classes | when | how |
|---|---|---|---|
| Storage | those of the report objects: Comprehensive 3D SR, Key Object Selection Document, the secondary captures of key images | a destination of kind cstore gets a finding | one association a finding, one presentation context a class, explicit VR little endian; priority high where the finding is urgent |
| Storage commitment, push model | 1.2.840.10008.1.20.1 | the destination says commit | N-ACTION on the association of the store; N-EVENT-REPORT is taken on it, or on an association that the archive opens to the receiver |

| the peer answers a C-STORE | what follows |
|---|---|
| 0000, B000, B006, B007, other warnings | stored |
| 0111 | stored before |
| A7xx | the destination pauses and is tried again |
| any other failure, or the class is not accepted | the other objects are sent; the finding is tried again, and given up after the destination's attempts |

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
