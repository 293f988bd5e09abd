package main

import (
	"fmt"
	"strings"

	"neurotriage/dicomio"
	"neurotriage/pacs"
)

// receiver writes what the C-STORE SCP takes.
func receiver(out *strings.Builder) {
	names := map[string]string{}
	for _, known := range append(dicomio.SOPClasses(), dicomio.TransferSyntaxes()...) {
		names[known.UID] = known.Name
	}
	out.WriteString(`
## Storage and verification as SCP

AE title NEUROTRIAGE (pacs.receive.ae_title), port 11112 on loopback (pacs.receive.listen). Presentation contexts that are accepted:

| SOP class | UID | transfer syntaxes | what happens |
|---|---|---|---|
| Verification | 1.2.840.10008.1.1 | implicit, explicit VR little endian | answered |
`)
	for _, uid := range pacs.MRClasses() {
		fmt.Fprintf(out, "| %s | %s | as below | kept until the study is read |\n", names[uid], uid)
	}
	for _, uid := range pacs.ReportClasses() {
		fmt.Fprintf(out, "| %s | %s | as below | our own reports: success, and dropped; others: 0122H |\n", names[uid], uid)
	}
	out.WriteString("| those of pacs.receive.sop_classes | | as below | kept until the study is read |\n\n" +
		"Of the transfer syntaxes that a presentation context proposes the first of this list is chosen:\n\n")
	for i, uid := range pacs.Syntaxes() {
		fmt.Fprintf(out, "%d. %s (%s)\n", i+1, names[uid], uid)
	}
	out.WriteString(`
| C-STORE status | when |
|---|---|
| 0000 | synced to the disk (pacs.receive.sync), or there already, or a report of ours |
| 0110 | anything that is not below; five objects with one UID and different content |
| 0122 | SOP class not taken |
| A700 | disk or depot full; object larger than limits.file_bytes |
| A900 | SOP class or instance UID of the data set are others than the command's |
| C000 | no DICOM; no valid study, series or instance UID |

| A-ASSOCIATE-RJ | when |
|---|---|
| permanent, called AE title not recognized | not pacs.receive.ae_title or also_called |
| permanent, calling AE title not recognized | only_sources, and no source matches |
| permanent, no reason given | the network is not on pacs.receive.allow |
| transient, temporary congestion | disk or depot full |
| transient, local limit exceeded | max_associations |
`)
}
