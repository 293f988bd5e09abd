package daemon

import (
	"crypto/tls"

	"neurotriage/config"
	"neurotriage/pacs"
	"neurotriage/pacs/annotate"
	"neurotriage/report"
)

// annotation makes a destination that orders the reading room's work. What its
// message says is made by the room report, which pacs does not know.
func (d *Daemon) annotation(name string, c config.Destination) (pacs.Destination, error) {
	switch c.Kind {
	case "hl7":
		return hl7Destination(c)
	case "ups":
		client, err := webDestination(name, c)
		retrieve := c.UPS.RetrieveURL
		if retrieve == "" {
			retrieve = c.URL
		}
		return annotate.NewUPS(annotate.UPSOptions{Client: client, WorklistLabel: c.UPS.WorklistLabel, RetrieveURL: retrieve}), err
	}
	web, err := webService(name, c)
	if err != nil {
		return nil, err
	}
	if c.Kind == "orthanc" {
		return annotate.NewOrthanc(annotate.OrthancOptions{Web: web, Metadata: c.Orthanc.Metadata, Prefix: c.Orthanc.LabelPrefix})
	}
	maker := report.FHIR{PatientSystem: c.FHIR.PatientSystem, FindPatient: c.FHIR.FindPatient, AccessionSystem: c.FHIR.AccessionSystem}
	return annotate.NewFHIR(annotate.FHIROptions{
		Web: web, Query: maker.ReportQuery,
		Bundle: func(p pacs.Parcel, id, version string) ([]byte, error) {
			return maker.Bundle(annotationOf(p), report.FHIRReport{ID: id, Version: version})
		},
	})
}

func hl7Destination(c config.Destination) (pacs.Destination, error) {
	var secure *tls.Config
	if c.TLS.On {
		var err error
		if secure, err = clientTLS(c.TLS.CA, c.TLS.Cert, c.TLS.Key); err != nil {
			return nil, err
		}
	}
	maker := report.HL7{
		SendingApplication: c.HL7.SendingApplication, SendingFacility: c.HL7.SendingFacility,
		ReceivingApplication: c.HL7.ReceivingApplication, ReceivingFacility: c.HL7.ReceivingFacility,
		Authority: c.HL7.Authority, Processing: c.HL7.Processing,
	}
	return annotate.NewHL7(annotate.HL7Options{
		Address: c.Address, TLS: secure, Timeout: c.HL7.AckTimeout,
		Encode: func(p pacs.Parcel) ([]byte, string) { return maker.ORU(annotationOf(p)) },
	}), nil
}

func webService(name string, c config.Destination) (annotate.Web, error) {
	user, password, token, err := c.Login(name)
	if err != nil {
		return annotate.Web{}, err
	}
	secure, err := clientTLS(c.TLS.CA, c.TLS.Cert, c.TLS.Key)
	return annotate.Web{Base: c.URL, User: user, Password: password, Token: token, TLS: secure, Timeout: c.Timeout}, err
}

func annotationOf(p pacs.Parcel) report.Annotation {
	return report.Annotation{Finding: p.Finding, Job: p.Job, Study: p.Study}
}
