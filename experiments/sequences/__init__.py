"""Reading and hearing: text, translation, speech, music and motion by depth."""
