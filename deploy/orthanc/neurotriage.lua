-- Announces studies to neurotriage as soon as Orthanc counts them as stable.
--
-- Install: name this file under "LuaScripts" in orthanc.json, and set what differs
-- in a second script that is named after it, such as
--
--   neurotriage.url = 'http://triage.example.org:8470/'
--   neurotriage.token = 'the token of http.auth.token_file'
--
-- "StableAge" of orthanc.json (60 seconds by default) is how long a study must
-- have been quiet. docs/pacs/orthanc.md has the whole setup.

neurotriage = {
  -- Where neurotriage listens (http.listen).
  url = 'http://127.0.0.1:8470/',

  -- What http.auth.token_file of neurotriage holds; empty: it asks for none.
  token = '',

  -- The name under "DicomModalities" that images are sent to by C-STORE, before
  -- the study is announced. Empty: neurotriage fetches them from dicomweb.
  modality = 'neurotriage',

  -- Address of Orthanc's own DICOMweb service as neurotriage reaches it, which
  -- dicomweb.archives of neurotriage has to hold. Used without modality.
  dicomweb = '',

  -- routine, urgent, asap or stat.
  priority = 'routine',

  -- User-defined metadata in which Orthanc keeps how much was announced.
  metadata = '7701',
}

-- The series of a study that neurotriage has not made itself, and how many
-- instances they have. What came back from neurotriage is no news.
local function images(study)
  local series, count = {}, 0
  for _, id in ipairs(ParseJson(RestApiGet('/studies/' .. study))['Series']) do
    local one = ParseJson(RestApiGet('/series/' .. id))
    local maker = one['MainDicomTags']['Manufacturer'] or ''
    if string.lower(maker) ~= 'neurotriage' then
      table.insert(series, id)
      count = count + #one['Instances']
    end
  end
  return series, count
end

local function announced(study)
  for _, name in ipairs(ParseJson(RestApiGet('/studies/' .. study .. '/metadata'))) do
    if name == neurotriage.metadata then
      return RestApiGet('/studies/' .. study .. '/metadata/' .. name)
    end
  end
  return ''
end

function OnStableStudy(study, tags, metadata)
  local series, count = images(study)
  if count == 0 or announced(study) == tostring(count) then
    return
  end
  local event = {
    study_instance_uid = tags['StudyInstanceUID'],
    accession_number = tags['AccessionNumber'] or '',
    priority = neurotriage.priority,
  }
  if neurotriage.modality ~= '' then
    local sent = RestApiPost('/modalities/' .. neurotriage.modality .. '/store',
      DumpJson({ Resources = series, Synchronous = true }))
    if sent == nil then
      print('neurotriage: study ' .. event.study_instance_uid .. ' could not be sent to ' .. neurotriage.modality)
      return
    end
  else
    event.location = { kind = 'dicomweb', url = neurotriage.dicomweb .. '/studies/' .. event.study_instance_uid }
  end
  local headers = { ['Content-Type'] = 'application/json' }
  if neurotriage.token ~= '' then
    headers['Authorization'] = 'Bearer ' .. neurotriage.token
  end
  local answer = HttpPost(neurotriage.url .. 'v1/studies', DumpJson(event), headers)
  if answer == nil or not string.find(answer, 'event_id', 1, true) then
    print('neurotriage: study ' .. event.study_instance_uid .. ' was not announced: ' .. tostring(answer))
    return
  end
  RestApiPut('/studies/' .. study .. '/metadata/' .. neurotriage.metadata, tostring(count))
end
