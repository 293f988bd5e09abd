import com.pixelmed.dicom.AttributeList;
import com.pixelmed.validate.DicomSRValidator;

/**
 * Judges the structured documents on the command line by their templates. One
 * process for all of them, because reading the rules takes most of the time.
 * Run it from source: java -cp pixelmed.jar Judge.java FILE...
 */
class Judge {
	public static void main(String[] files) throws Exception {
		DicomSRValidator validator = new DicomSRValidator();
		for (String file : files) {
			AttributeList list = new AttributeList();
			list.read(file);
			System.out.println("File: " + file);
			System.out.print(validator.validate(list));
		}
	}
}
